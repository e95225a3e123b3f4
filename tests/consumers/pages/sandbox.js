/** A page of an opaque origin inside this one. */
addEventListener('message', ({ data }) => (globalThis.result = data));
const frame = document.createElement('iframe');
frame.setAttribute('sandbox', 'allow-scripts');
frame.src = `page.html${location.search}`;
document.body.append(frame);
