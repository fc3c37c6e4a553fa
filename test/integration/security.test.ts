/** Only the host, with the boot's token, drives the agent. */
import net from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { linkStream } from '../../guest/link.ts';
import { AGENT_PORT, AGENT_SOCKET, BOOT_DIR, type Health } from '../../guest/protocol.ts';
import { agentClient } from '../../host/channel/agent-client.ts';
import { connectUnix } from '../../host/channel/connect-unix.ts';
import { runtimeDirectory, statePaths } from '../../host/paths.ts';
import { runInGuest, sharedAgent, sharedMachine } from './support.ts';

const agentSocket = `${runtimeDirectory(statePaths(), sharedMachine())}/agent.sock`;
const inGuest = async (script: string, uid = 0) =>
  runInGuest(await sharedAgent(), ['sh', '-c', script], { uid, gid: uid });

/** A request with a wrong or no token, straight to the agent's socket. */
function answerTo(header: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const link = linkStream(net.connect(agentSocket));
    onTestFinished(() => {
      link.destroy();
    });
    let text = '';
    link.on('data', (chunk) => {
      text += chunk;
    });
    link.on('error', reject);
    link.on('end', () => resolve(text));
    link.write(`GET /v1/health HTTP/1.1\r\nHost: agent\r\n${header}\r\n`);
  });
}

test('without the token there is no answer but 401', async () => {
  expect(await answerTo('')).toMatch(/^HTTP\/1\.1 401 /);
  expect(await answerTo(`Authorization: Bearer ${'0'.repeat(64)}\r\n`)).toMatch(/^HTTP\/1\.1 401 /);
  const stranger = agentClient({ connect: () => connectUnix(agentSocket), token: '0'.repeat(64) });
  await expect(stranger.exec({ argv: ['true'], stdin: false })).rejects.toMatchObject({ code: 'E_STATE' });
});

test('a user of the guest reaches neither the agent’s socket nor the token', async () => {
  const { exit } = await inGuest(`socat -u OPEN:/dev/null UNIX-CONNECT:${AGENT_SOCKET}`, 1000);
  expect(exit.code).not.toBe(0);
  expect((await inGuest(`cat ${BOOT_DIR}/config.json`, 1000)).stdout).toBe('');
});

test('not even root of the guest reaches the agent through vsock: there is no way back to the guest’s own port', async () => {
  for (const cid of ['1', '2', '$(cat /sys/class/vsock/*/local_cid 2>/dev/null || echo 3)']) {
    const { stdout } = await inGuest(
      `echo 'GET /v1/health HTTP/1.0' | timeout 10 socat -T5 - VSOCK-CONNECT:${cid}:${AGENT_PORT} 2>&1 | grep -c HTTP/1`,
    );
    expect(stdout.trim()).toBe('0');
  }
  expect((await inGuest('modprobe vsock_loopback; grep -c vsock_loopback /proc/modules')).stdout.trim()).toBe('0');
});

test('the token is new for every boot and never in the guest’s logs or arguments', async () => {
  const { stdout: config } = await inGuest(`cat ${BOOT_DIR}/config.json`);
  const { token } = JSON.parse(config) as { token: string };
  expect(token).toMatch(/^[0-9a-f]{64}$/);
  const { stdout } = await inGuest(
    `cat /var/log/rosetta-vm/*.log /proc/[0-9]*/cmdline /proc/[0-9]*/environ | grep -ac ${token}`,
  );
  // The grep itself, and the shell that runs it, carry it in their arguments.
  expect(Number(stdout)).toBeLessThanOrEqual(2);
});

test('a guest clock that runs wrong is set right within seconds', async () => {
  const agent = await sharedAgent();
  await inGuest('date -s @1000000000');
  await expect
    .poll(async () => Math.abs(((await agent.health()) satisfies Health).timeMs - Date.now()), {
      timeout: 40_000,
      interval: 2_000,
    })
    .toBeLessThan(5_000);
});
