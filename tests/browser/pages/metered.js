/** The package's worker, with a meter that was there first. */
import './meter.js';
import '/pkg/worker.js';
