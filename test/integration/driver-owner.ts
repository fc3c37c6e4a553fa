/** A process that owns a machine and does nothing else: killed by driver.test.ts. The plan comes as an argument. */
import type { MachinePlan } from '../../host/plan/plan.ts';
import { driver } from './driver-guest.ts';

const machine = await driver.create(JSON.parse(process.argv[2] ?? '') as MachinePlan);
await machine.start();
process.stdout.write('running\n');
setInterval(() => {}, 60_000);
