import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';
import { writeFileWhole } from '../write-file-whole.ts';

const runRecord = z.object({
  /** The `Idempotency-Key` of the run's file and batch, the same in every process that works on the run. */
  key: z.string(),
  fileId: z.string().exactOptional(),
  batchId: z.string().exactOptional(),
  /** Set once the output file was published, with the counts of what it holds. */
  finished: z
    .object({
      completed: z.number(),
      failed: z.number(),
      /** The output as it was published. Absent for standard output. */
      output: z.string().exactOptional(),
      /** What the results used, and cost in USD where that is known. Absent in a record of an earlier version. */
      totals: z
        .object({
          inputTokens: z.number(),
          outputTokens: z.number(),
          spent: z.number().nullable(),
          wasted: z.number().nullable(),
          /** Results that are copies, and what they saved in USD. Absent in a record of an earlier version. */
          copied: z.number().exactOptional(),
          saved: z.number().nullable().exactOptional(),
        })
        .exactOptional(),
    })
    .exactOptional(),
  /** Batches that run again what failed, each of what failed in the one before it. */
  retries: z
    .array(
      z.object({
        /** The `Idempotency-Key` of the batch. */
        key: z.string(),
        batchId: z.string().exactOptional(),
        /** Whether the output file that was published last has its results. */
        published: z.boolean(),
      }),
    )
    .exactOptional(),
});

/** How far a run has come: enough to carry on after any crash. */
export type RunRecord = z.infer<typeof runRecord>;

/** The counts of a run that has nothing left to do; undefined when it has. */
export const finishedOf = ({ finished, retries = [] }: RunRecord): RunRecord['finished'] =>
  retries.every(({ published }) => published) ? finished : undefined;

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** Keeps the {@link RunRecord} of one run in its folder. Each save replaces the file whole. */
export const createRunRecordStore = (folder: string) => {
  const path = join(folder, 'run.json');
  return {
    /** @throws CliError `run_record_unreadable` */
    async load(): Promise<RunRecord | undefined> {
      try {
        return runRecord.parse(JSON.parse(await readFile(path, 'utf8')));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw new CliError('run_record_unreadable', `cannot read ${path}; remove it, or start afresh with --fresh`, {
          cause: error,
        });
      }
    },
    async save(record: RunRecord): Promise<void> {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileWhole(path, [`${JSON.stringify(record, null, 2)}\n`], { access: 'private' });
    },
    async remove(): Promise<void> {
      await rm(path, { force: true });
    },
    /** Removes the run's folder, unless the run has begun. */
    async removeUnstarted(): Promise<void> {
      if (!existsSync(path)) await rm(folder, { recursive: true, force: true });
    },
  };
};

export type RunRecordStore = ReturnType<typeof createRunRecordStore>;
