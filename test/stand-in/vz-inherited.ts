/**
 * A process that talks to a guest over a socket which it inherited as descriptor 3: the only way to have a connected
 * AF_UNIX socket in Node that no stream owns yet, as the native addon hands one out. Started by inherited.test.ts with
 * the plan as its argument; says on stdout what it heard, as JSON.
 */
import { text } from 'node:stream/consumers';
import { vzDriver } from '../../host/drivers/vz/driver.ts';
import type { MachinePlan } from '../../host/plan/plan.ts';
import { StandInVzAddon } from './vz-addon.ts';

const PORT = 1024;

const addon = new StandInVzAddon({ sockets: [3] });
addon.world.listens.add(PORT);
const driver = vzDriver({ loadAddon: async () => addon });
const machine = await driver.create(JSON.parse(process.argv[2] ?? '') as MachinePlan);
await machine.start();
const stream = await machine.connect(PORT);
stream.end('request');
// The guest answers after it has heard the end of what it was asked.
const heard = await text(stream);
const closed = stream.closed || (await new Promise((resolve) => stream.once('close', () => resolve(true))));
await machine.stop();
addon.remove();
process.stdout.write(JSON.stringify({ heard, closed, state: machine.state }));
