import { templates } from './templates';

/** Small tokenizers of every kind that checkpoints come with. */
export function tokenizers(): object[] {
  const letters = [...'abcdefghijklmnopqrstuvwxyzA ,.:Ġ▁'];
  const vocab = Object.fromEntries(['<unk>', '<s>', '</s>', ...letters, 'th', 'Ġt', '▁t', '##e', 'the', 'text'].map((token, id) => [token, id]));
  const added = [
    { id: 0, content: '<unk>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
    { id: 1, content: '<s>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
  ];
  const llama3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const start = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  };
  const base = {
    version: '1.0',
    added_tokens: added,
    normalizer: null as unknown,
    pre_tokenizer: null as unknown,
    post_processor: null as unknown,
    decoder: null as unknown,
  };
  return [
    {
      ...base,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: llama3 }, behavior: 'Isolated', invert: false },
          { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
        ],
      },
      post_processor: { type: 'ByteLevel', trim_offsets: false },
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab, merges: ['t h', 'Ġ t'] },
    },
    {
      ...base,
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      post_processor: start,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        fuse_unk: true,
        byte_fallback: true,
        vocab,
        merges: [
          ['t', 'h'],
          ['▁', 't'],
        ],
      },
    },
    {
      ...base,
      normalizer: { type: 'NFKC' },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
      decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
      model: { type: 'Unigram', unk_id: 0, vocab: Object.keys(vocab).map((token, id) => [token, -id / 10]), byte_fallback: false },
    },
    {
      ...base,
      normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: { type: 'WordPiece', unk_token: '<unk>', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab },
    },
    { ...base, pre_tokenizer: { type: 'Whitespace' }, model: { type: 'WordLevel', unk_token: '<unk>', vocab } },
  ];
}

export const tokenizerSettings = { bos_token: '<s>', eos_token: { content: '</s>' }, chat_template: templates[0], add_bos_token: true };
