/** Text from data in places of VS Code that would make more of it. */
import { plainText } from '../protocol/plain-text';

/** For notifications and the progress shown in them, which make links of `[text](command:id)`. */
export const withoutLinks = (text: string): string => plainText(text).replaceAll('](', '] (');

/** For the status bar and lists to choose from, which draw `$(name)` as a picture. */
export const withoutIcons = (text: string): string => plainText(text).replace(/\$\((?=[\w-]+(?:~[\w-]*)?\))/g, '\\$(');
