import { unwrap } from '../../protocol/fault';
import { chosenRows as rowsAsText } from '../../text/chosen-rows';
import type { Handler } from '../call';

export const chosenRows: Handler<'chosenRows'> = async (_session, { sources, rows }) => ({ text: unwrap(await rowsAsText(sources, rows)) });
