/** `npx diffcr-web`: what a site's build needs of the package. */

import { parseArgs } from 'node:util';
import { asError, DiffCRError } from './errors.ts';
import { readFetchSettings } from './load_options.ts';
import { saveModel } from './node-save.ts';
import type { Progress } from './progress.ts';

const HELP = `diffcr-web fetch MODEL FOLDER [options]

Puts a bundle into a folder of your site, each file checked against its hash.
What is there already stays: a stopped download goes on where it was.

  MODEL            address of the bundle's folder, hf:OWNER/NAME@REVISION/FOLDER, or a folder on this disk
  FOLDER           where it goes; its files are then served as they are

  --integrity HASH   SHA-256 of diffcr.json, in hex or as sha256-BASE64: another one is refused
  --header 'N: V'    sent with every request; may be given more than once
  --concurrency N    files fetched at a time (4)
  --quiet            prints errors alone
  --help
`;

const OPTIONS = {
  integrity: { type: 'string' },
  header: { type: 'string', multiple: true },
  concurrency: { type: 'string' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** What a terminal shows of the command; `signal` stops it. */
export interface Terminal {
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
  /** Absent where nobody watches. */
  readonly progress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Runs the command; what the process is to end with. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { values, positionals } = parse(args);
    if (values.help === true || args.length === 0) {
      terminal.write(HELP);
      return 0;
    }
    const [command, model, folder, ...more] = positionals;
    if (command !== 'fetch') throw usage(`there is no command ${JSON.stringify(command)}`);
    if (model === undefined || folder === undefined || more.length > 0) throw usage('`fetch` takes a model and a folder');
    const { integrity, concurrency, quiet = false } = values;
    const settings = readFetchSettings({
      ...(integrity === undefined ? {} : { integrity }),
      ...(concurrency === undefined ? {} : { concurrency: Number(concurrency) }),
      ...(terminal.signal === undefined ? {} : { signal: terminal.signal }),
      init: { headers: headers(values.header ?? []) },
      onProgress: (progress: Progress) => {
        if (!quiet) terminal.progress?.(bar(progress));
      },
    });
    const saved = await saveModel(model, folder, settings);
    const kept = saved.keptBytes > 0 ? `, of which ${megabytes(saved.keptBytes)} were there` : '';
    if (!quiet) terminal.write(`${saved.name} ${saved.version}: ${saved.files} files, ${megabytes(saved.bytes)}${kept}, in ${folder}\n`);
    return 0;
  } catch (thrown) {
    const error = asError(thrown);
    if (!(error instanceof DiffCRError)) {
      terminal.complain('stopped: run it again to go on\n');
      return 130;
    }
    terminal.complain(`${error.code}: ${error.message}\n`);
    return error.code === 'INVALID_INPUT' ? 2 : 1;
  }
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

function usage(reason: string): DiffCRError {
  return new DiffCRError('INVALID_INPUT', `${reason}; --help tells more`, { field: 'arguments', reason });
}

function headers(lines: readonly string[]): [string, string][] {
  return lines.map((line) => {
    const [, name, value] = /^([\w-]+):\s*(.+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw usage(`--header takes 'Name: value', not ${JSON.stringify(line)}`);
    return [name, value];
  });
}

function bar({ loadedBytes, totalBytes, stalled }: Progress): string {
  const waits = stalled === undefined ? '' : `, ${stalled} does not come`;
  return totalBytes === 0 ? 'manifest' : `${megabytes(loadedBytes)} of ${megabytes(totalBytes)}${waits}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
