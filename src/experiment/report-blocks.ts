import type { Block } from '../protocol/report-page';
import { escapeMarkdown, markdownTable, oneLine } from './table';

export type { Block };

export interface Report {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** Figures are left out: their numbers stand in the tables. */
export function reportAsMarkdown({ title, blocks }: Report): string {
  return `${[`# ${escapeMarkdown(title)}`, ...blocks.flatMap(blockAsMarkdown)].join('\n\n')}\n`;
}

function blockAsMarkdown(block: Block): string[] {
  switch (block.kind) {
    case 'heading':
      return [`## ${escapeMarkdown(block.text)}`];
    case 'paragraph':
      return [block.strong ? `**${escapeMarkdown(block.text)}**` : escapeMarkdown(block.text)];
    case 'list':
      return [block.items.map((item) => `- ${escapeMarkdown(item)}`).join('\n')];
    case 'table':
      return [`${escapeMarkdown(block.caption)}:`, markdownTable(block.columns, block.rows)];
    case 'command':
      return [fenced(oneLine(block.text))];
    case 'figures':
      return [];
  }
}

/** A fence longer than any run of backticks inside. */
function fenced(text: string): string {
  const fence = '`'.repeat(Math.max(3, ...(text.match(/`+/g) ?? []).map((run) => run.length + 1)));
  return `${fence}sh\n${text}\n${fence}`;
}
