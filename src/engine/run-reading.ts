/** How a run read its data: the same for what is asked about it later. */
import type { Reading, Scoring } from '../protocol/engine';
import type { Recipe } from '../protocol/recipe';

export const readingOf = ({ addDocumentStart, maxLength, chat, scoring }: Recipe): Reading & Scoring => ({
  maxLength,
  chat,
  documentStart: addDocumentStart === undefined ? 'auto' : addDocumentStart ? 'yes' : 'no',
  options: scoring?.options,
  normalise: scoring?.normalise,
});
