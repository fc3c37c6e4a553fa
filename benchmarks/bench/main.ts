#!/usr/bin/env node
/** The program `bench`: `npx bench`. */
import { runProgram } from '../../host/cli/main.ts';
import { createBench } from './program.ts';

process.exitCode = await runProgram(process.argv.slice(2), createBench);
