/** Prompt, examples and settings: what the reader fills in. */

import { SOLVERS, type ModelInfo } from 'diffcr-web';
import { anySeed, sidesOf, sizesOf, sizeText, whyIdle, type Form } from '../form.ts';
import type { State } from '../state.ts';
import { completions, EXAMPLES, isColor, randomCaption, tokens, unknownWords, unread } from '../words.ts';
import { find, say } from './dom.ts';

export interface FormEvents {
  readonly edit: (change: Partial<Form>) => void;
  readonly submit: () => void;
  readonly four: () => void;
  readonly roll: (roll: boolean) => void;
  readonly cancel: () => void;
}

/** `scenes`: the page's own model, whose captions are known. `before`: the words that the model knows, as far as the page can tell before it is there. */
export function createForm(events: FormEvents, scenes: boolean, before: readonly string[] | undefined): (state: State) => void {
  const form = find('form', HTMLFormElement);
  const prompt = find('prompt', HTMLTextAreaElement);
  const negative = find('negative', HTMLTextAreaElement);
  const words = find('words', HTMLElement);
  const offers = find('completions', HTMLElement);
  const four = find('four', HTMLButtonElement);
  const roll = find('roll', HTMLInputElement);
  let vocabulary: readonly string[] = [];
  const examples = find('examples', HTMLElement);
  const seed = find('seed', HTMLInputElement);
  const steps = find('steps', HTMLInputElement);
  const guidance = find('guidance', HTMLInputElement);
  const solver = find('solver', HTMLSelectElement);
  const sides = find('sides', HTMLSelectElement);
  const sidesField = find('sides-field', HTMLElement);
  const stepsValue = find('steps-value', HTMLOutputElement);
  const guidanceValue = find('guidance-value', HTMLOutputElement);
  const generate = find('generate', HTMLButtonElement);
  const cancel = find('cancel', HTMLButtonElement);

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    events.submit();
  });
  form.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    events.submit();
  });
  cancel.addEventListener('click', events.cancel);
  four.addEventListener('click', events.four);
  roll.addEventListener('change', () => events.roll(roll.checked));
  prompt.addEventListener('input', () => {
    events.edit({ prompt: prompt.value });
    offer();
  });
  const offer = (): void => {
    const found = completions(prompt.value, prompt.selectionEnd, vocabulary);
    offers.hidden = found.length === 0;
    offers.replaceChildren(
      ...found.map(({ word, prompt: next, caret }) =>
        exampleButton(word, () => {
          events.edit({ prompt: next });
          prompt.focus();
          prompt.setSelectionRange(caret, caret);
          offer();
        }),
      ),
    );
  };
  negative.addEventListener('input', () => events.edit({ negativePrompt: negative.value }));
  seed.addEventListener('input', () => seed.validity.valid && events.edit({ seed: seed.valueAsNumber }));
  seed.addEventListener('change', () => events.edit({ seed: seed.valueAsNumber }));
  steps.addEventListener('input', () => events.edit({ steps: steps.valueAsNumber }));
  guidance.addEventListener('input', () => events.edit({ guidance: guidance.valueAsNumber }));
  solver.append(...['', ...SOLVERS].map((value) => Object.assign(document.createElement('option'), { value, textContent: value })));
  solver.addEventListener('change', () => events.edit({ solver: SOLVERS.find((each) => each === solver.value) }));
  const own = solver.options[0] ?? solver;
  sides.addEventListener('change', () => events.edit({ size: sides.value === '' ? undefined : sides.value }));
  let sized: ModelInfo | undefined;
  find('dice', HTMLButtonElement).addEventListener('click', () => events.edit({ seed: anySeed() }));

  if (scenes) {
    for (const example of EXAMPLES) {
      examples.append(exampleButton(example, () => events.edit({ prompt: example })));
    }
    const surprise = exampleButton('Surprise me', () => events.edit({ prompt: randomCaption(Math.random) }));
    surprise.classList.add('surprise');
    examples.append(surprise);
  }
  examples.hidden = !scenes;

  return (state) => {
    const { form: values, model, run, retouch } = state;
    if (prompt.value !== values.prompt) prompt.value = values.prompt;
    if (negative.value !== values.negativePrompt) negative.value = values.negativePrompt;
    // What is being typed is left alone until it is a number that will do.
    if (seed.valueAsNumber !== values.seed && (seed.validity.valid || document.activeElement !== seed)) seed.valueAsNumber = values.seed;
    if (steps.valueAsNumber !== values.steps) steps.valueAsNumber = values.steps;
    if (guidance.valueAsNumber !== values.guidance) guidance.valueAsNumber = values.guidance;
    if (solver.value !== (values.solver ?? '')) solver.value = values.solver ?? '';
    // A change of a picture has the picture's size.
    sidesField.hidden = model.kind !== 'ready' || retouch !== undefined;
    if (model.kind === 'ready') {
      if (sized !== model.info) sides.replaceChildren(...sizesOf(model.info).map((each, i) => sizeOption(each, i === 0)));
      sized = model.info;
      const size = values.size === sizeText(model.info) ? '' : (values.size ?? '');
      const offered = [...sides.options].some(({ value }) => value === size);
      const other = offered ? undefined : sidesOf(size);
      if (other !== undefined) sides.append(sizeOption({ ...other, name: 'as asked' }));
      if (sides.value !== size) sides.value = size;
    }
    say(own, model.kind === 'ready' ? `the model's own (${model.info.defaultSolver})` : "the model's own");
    say(stepsValue, String(values.steps));
    say(guidanceValue, values.guidance > 1 ? values.guidance.toFixed(1) : 'off');
    const info = model.kind === 'ready' ? model.info : undefined;
    const known = info === undefined ? before : info.vocabulary;
    vocabulary = known ?? [];
    const unknown = known === undefined ? [] : unknownWords(values.prompt, vocabulary);
    const longest = info?.parts.tokenizer?.maxLength;
    const lost = info?.vocabulary === undefined || longest === undefined ? '' : unread(values.prompt, longest - 1);
    if (roll.checked !== state.roll) roll.checked = state.roll;
    const idle = retouch === undefined ? undefined : whyIdle(values.steps, retouch.strength);
    const hints = [
      unknown.length > 0 ? `This model has never seen: ${unknown.join(', ')}` : '',
      lost === '' ? '' : `It does not read that far: ${lost}`,
      values.prompt.trim() === '' ? 'Without a prompt the model draws whatever the seed gives.' : '',
      idle ?? '',
    ];
    say(words, hints.filter((hint) => hint !== '').join(' '));
    const drawing = run.kind === 'waiting' || run.kind === 'running';
    four.hidden = retouch !== undefined;
    four.disabled = drawing;
    generate.disabled = drawing || idle !== undefined || (retouch !== undefined && !retouch.painted);
    const ready = retouch === undefined ? 'Generate' : 'Inpaint';
    say(generate, drawing ? (run.kind === 'waiting' && model.kind === 'loading' ? 'Waiting for the model …' : 'Drawing …') : ready);
    const focused = document.activeElement === cancel;
    cancel.hidden = !drawing;
    if (focused && cancel.hidden) generate.focus();
  };
}

function sizeOption(size: { readonly width: number; readonly height: number; readonly name: string }, own = false): HTMLOptionElement {
  return new Option(`${size.width} × ${size.height}, ${size.name}`, own ? '' : sizeText(size));
}

/** A prompt to click, its colours shown. */
function exampleButton(text: string, click: () => void): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'example';
  for (const token of tokens(text)) {
    if (isColor(token)) {
      const color = document.createElement('i');
      color.dataset['color'] = token;
      color.textContent = token;
      button.append(color);
    } else {
      button.append(token);
    }
  }
  button.addEventListener('click', click);
  return button;
}
