/** The package's worker on an adapter of small buffers. */
import './guaranteed.js';
import '/pkg/worker.js';
