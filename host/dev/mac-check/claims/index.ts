/** Every claim, in the order in which they are checked: what one makes, later ones use. */
import type { Claim } from '../claim.ts';
import { CLAIMS_BY_HAND } from './by-hand.ts';
import { CONNECTION_CLAIMS } from './connections.ts';
import { DISK_CLAIMS } from './disks.ts';
import { FRAMEWORK_CLAIMS } from './framework.ts';
import { LIFE_CLAIMS } from './life.ts';
import { MACHINE_CLAIMS } from './machine.ts';
import { ROSETTA_CLAIMS } from './rosetta.ts';
import { SIGNATURE_CLAIMS } from './signature.ts';
import { WORKLOAD_CLAIMS } from './workloads.ts';

export const CLAIMS: readonly Claim[] = [
  ...SIGNATURE_CLAIMS,
  ...FRAMEWORK_CLAIMS,
  ...MACHINE_CLAIMS,
  ...LIFE_CLAIMS,
  ...CONNECTION_CLAIMS,
  ...DISK_CLAIMS,
  ...ROSETTA_CLAIMS,
  ...WORKLOAD_CLAIMS,
  ...CLAIMS_BY_HAND,
];
