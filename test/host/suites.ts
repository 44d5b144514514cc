/** Every suite that runs inside VS Code. */
import './activation.host';
import './trees.host';
import './engine.host';
import './surfaces.host';
import './sweeps.host';
