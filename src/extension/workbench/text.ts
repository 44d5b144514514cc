/** The loop's words in the language of the window. The loop knows no vscode: extension.ts hands in its translation, English without it. */
import { fill } from '../../protocol/fill';

type Translation = (text: string, ...values: (string | number)[]) => string;
let translation: Translation = (text, ...values) => fill(text, values);

export const translateWith = (given: Translation): void => {
  translation = given;
};

export const t: Translation = (text, ...values) => translation(text, ...values);
