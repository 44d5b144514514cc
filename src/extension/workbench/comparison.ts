/** Step 4's part of the state; the engine's room of experiments makes it, so that report and page say the same. */
export { comparisonView as comparisonOf } from '../../experiment/comparison-view';
