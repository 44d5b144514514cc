/** What each token of the strip shows: tint, ink, height of its bar, the experts it chose. Pure. */
import type { TokenStrip } from '../../src/protocol/prompts-view';
import { contrast } from '../heatmap/colour';

export interface TokenCell {
  readonly text: string;
  /** Router score of the expert that is looked at; 0 where the token did not choose it. */
  readonly score: number;
}

export interface ChosenExpert {
  readonly expert: number;
  readonly score: number;
}

/** A token as it is shown: a space before it as a dot, line breaks and tabs as signs. */
export const shownToken = (text: string): string => text.replace(/^ /, '·').replaceAll('\n', '↵').replaceAll('\t', '→') || '∅';

/** Experts that a token chose in one layer, largest score first. */
export function chosenExperts(strip: TokenStrip, layer: number, token: number): readonly ChosenExpert[] {
  const row = strip.layers.indexOf(layer);
  if (row < 0) return [];
  const from = (row * strip.tokens.length + token) * strip.topK;
  return Array.from({ length: strip.topK }, (_, slot) => ({ expert: strip.experts[from + slot], score: strip.scores[from + slot] }));
}

export const cellsOf = (strip: TokenStrip, layer: number, expert: number): readonly TokenCell[] =>
  strip.tokens.map((text, token) => ({ text, score: chosenExperts(strip, layer, token).find((chosen) => chosen.expert === expert)?.score ?? 0 }));

/** On a linear scale from 0 to 1: a logarithm would saturate. */
export const tintOf = (colours: readonly string[], score: number): string => colours[Math.round((colours.length - 1) * Math.max(0, Math.min(1, score)))];

export const inkOn = (colour: string): '#000000' | '#ffffff' => (contrast(colour, '#000000') >= contrast(colour, '#ffffff') ? '#000000' : '#ffffff');

/** Pixels of the bar under a token. */
export const barHeight = (score: number): number => Math.round(2 + 14 * Math.max(0, Math.min(1, score)));

/** The token with the largest score; 0 where none chose the expert. */
export const strongest = (cells: readonly TokenCell[]): number => cells.reduce((best, cell, at) => (cell.score > cells[best].score ? at : best), 0);
