/** Hands the built package to the tests, which drive it from outside. */
globalThis.diffcr = await import('/pkg/index.js');
document.body.dataset.api = 'ready';
