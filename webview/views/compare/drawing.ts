/** What step 4 draws from besides the state. */
import type { AnswersFigures, RoutingFigures } from '../../../src/protocol/comparison-view';
import type { RoutingPanels } from './routing-panels';

export interface ComparisonDrawing {
  readonly routing: RoutingFigures | null;
  readonly answers: AnswersFigures | null;
  /** Kept over redraws. */
  readonly panels: RoutingPanels;
  /** Cell under the cursor, as an index into the routing figures. */
  readonly cursor: number | null;
}
