/** The list of programs that are kept from a translator or from the cache: a file on the data disk. */
import path from 'node:path';
import { RosettaVmError } from '../../host/errors.ts';
import { readBounded, writeWhole } from '../../host/files.ts';
import type { PartLog } from '../agent/log.ts';
import { parseDenyRows } from '../agent/requests.ts';
import {
  type DenyAddRequest,
  type DenyKey,
  type DenyList,
  type DenyRemoveRequest,
  type DenyRow,
  MAX_DENY_ROWS,
} from '../translation-protocol.ts';

const MAX_FILE_BYTES = 1024 * 1024;
/** The router reads a table of at most 128 KiB; half of it may be this list. */
const MAX_ROW_BYTES = 64 * 1024;

export class DenyService {
  readonly #file: string;
  readonly #log: PartLog;
  readonly #onChange: () => Promise<void>;
  #rows: readonly DenyRow[] = [];
  #ready = false;
  /** Changes wait for each other: each writes the whole file. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(dataDirectory: string, onChange: () => Promise<void>, log: PartLog) {
    this.#file = path.join(dataDirectory, 'deny.json');
    this.#onChange = onChange;
    this.#log = log;
  }

  /** Reads the list when the data disk is there. Never throws: a damaged list is told and counts as empty. */
  async load(diskReady: Promise<boolean>): Promise<void> {
    if (!(await diskReady)) return;
    this.#ready = true;
    try {
      const text = await readBounded(this.#file, MAX_FILE_BYTES);
      if (text === null) return;
      this.#rows = parseDenyRows(JSON.parse(text));
      await this.#onChange();
    } catch (error) {
      this.#log.error('The deny list is damaged; it counts as empty.', { file: this.#file, reason: String(error) });
    }
  }

  list(): DenyList {
    return { rows: this.#rows };
  }

  /** Throws `E_STATE` without a data disk, `E_SIZE` when the list is full. */
  add(request: DenyAddRequest): Promise<DenyList> {
    return this.#change((rows) => {
      const others = rows.filter((row) => !(isSame(row, request) && row.from === request.from));
      const next = [...others, { ...request, addedMs: Date.now() }];
      const bytes = next.reduce((sum, row) => sum + Buffer.byteLength(`${row.program}${row.buildId}`), 0);
      if (next.length > MAX_DENY_ROWS || bytes > MAX_ROW_BYTES) throw tooManyRows(rows.length);
      return next;
    });
  }

  /** Throws `E_NOT_FOUND` when no row has the key. */
  remove(request: DenyRemoveRequest): Promise<DenyList> {
    return this.#change((rows) => {
      const kept = rows.filter(
        (row) => !(isSame(row, request) && (request.from === undefined || row.from === request.from)),
      );
      if (kept.length === rows.length) throw notDenied(request);
      return kept;
    });
  }

  #change(edit: (rows: readonly DenyRow[]) => readonly DenyRow[]): Promise<DenyList> {
    const next = this.#last.then(async () => {
      if (!this.#ready) throw noDataDisk();
      const rows = edit(this.#rows);
      await writeWhole(this.#file, JSON.stringify(rows));
      this.#rows = rows;
      await this.#onChange();
      return this.list();
    });
    this.#last = next.catch(() => {});
    return next;
  }
}

const isSame = (a: DenyKey, b: DenyKey): boolean => a.program === b.program && a.buildId === b.buildId;

function tooManyRows(rows: number): RosettaVmError {
  return new RosettaVmError('E_SIZE', {
    what: 'The deny list is full.',
    why: `It has ${rows} rows; the router reads all of them whenever a program starts.`,
    fix: 'Remove rows that are no longer needed (`rosetta-vm cache deny remove`), or choose another translator for all.',
    facts: { rows, limit: MAX_DENY_ROWS },
  });
}

function notDenied({ program = '', buildId = '' }: DenyKey): RosettaVmError {
  return new RosettaVmError('E_NOT_FOUND', {
    what: 'The deny list has no such row.',
    why: `Nothing is kept from ${[program, buildId].filter(Boolean).join(' with build-id ')}.`,
    fix: '`rosetta-vm cache deny list` shows what is in it.',
    facts: { program, buildId },
  });
}

function noDataDisk(): RosettaVmError {
  return new RosettaVmError('E_STATE', {
    what: 'The deny list cannot be changed.',
    why: 'It is on the data disk, which is not usable.',
    fix: 'See `rosetta-vm status`.',
  });
}
