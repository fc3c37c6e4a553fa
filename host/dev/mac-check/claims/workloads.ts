/** Programs that Rosetta’s ahead-of-time translations are said to have broken, each with the cache and without. */
import { type Claim, inGuest, judged, said } from '../claim.ts';

interface Workload {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** For sh in the container; ends with status 0 when all is well. */
  readonly script: string;
  readonly source: string;
}

const LIMIT_MS = 20 * 60_000;

const WORKLOADS: readonly Workload[] = [
  {
    id: 'apt',
    name: 'apt and dpkg',
    image: 'debian:stable-slim',
    script: 'apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null',
    source: 'nothing was found about it',
  },
  {
    id: 'gcc',
    name: 'GCC',
    image: 'gcc:latest',
    script:
      'printf "#include <vector>\\nint main(){std::vector<int> v(9);return v.size()-9;}" >a.cc && g++ -O2 a.cc && ./a.out',
    source: 'orbstack#94: internal compiler errors on macOS 13',
  },
  {
    id: 'clang',
    name: 'Clang',
    image: 'silkeh/clang:latest',
    script: 'echo "int main(){return 0;}" >a.c && clang -O2 a.c && ./a.out',
    source: 'nix-rosetta-builder#2 has no list that says it is well',
  },
  {
    id: 'rust',
    name: 'cargo with the crates that were named',
    image: 'rust:slim',
    script: 'cargo new -q x && cd x && cargo add -q icu_collections && cargo build -q',
    source: 'nix-rosetta-builder#2 (macOS 15) names icu_collections',
  },
  {
    id: 'go',
    name: 'go build',
    image: 'golang:latest',
    script: 'printf "package main\\nfunc main(){println(42)}" >a.go && go build -o a a.go && ./a',
    source: 'docker/for-mac#7037: futex failures',
  },
  {
    id: 'erlang',
    name: 'Erlang',
    image: 'erlang:slim',
    script: 'erl -noshell -eval "io:format(\\"~p~n\\",[lists:sum(lists:seq(1,100000))]),halt(0)."',
    source: 'nix-rosetta-builder#2',
  },
  {
    id: 'node',
    name: 'Node.js and npm',
    image: 'node:lts-slim',
    script: 'cd /tmp && npm init -y >/dev/null && npm install --silent typescript && npx tsc --version',
    source: 'docker/for-mac#6998: hangs in 2023',
  },
  {
    id: 'dotnet',
    name: '.NET',
    image: 'mcr.microsoft.com/dotnet/sdk:8.0',
    script: 'dotnet new console -o /tmp/x >/dev/null && dotnet run --project /tmp/x',
    source: 'docker/for-mac#7075: very slow',
  },
  {
    id: 'dnf',
    name: 'dnf and rpm',
    image: 'fedora:latest',
    script: 'dnf -q -y install which >/dev/null && which sh',
    source: 'nothing was found about it',
  },
];

const quoted = (script: string): string => `'${script.replaceAll("'", `'\\''`)}'`;

export const WORKLOAD_CLAIMS: readonly Claim[] = WORKLOADS.map(({ id, name, image, script, source }) => ({
  id: `workload-${id}`,
  claim: `Under Rosetta these work twice with the cache, and without it: ${name}.`,
  source,
  how: `In an amd64 container of ${image}: ${script}`,
  needs: ['rosetta', 'full'] as const,
  commands: (context) =>
    ['', '', '-e ROSETTA_DISABLE_AOT=1'].map((flag) =>
      inGuest(context, `docker run --rm --platform linux/amd64 ${flag} ${image} sh -c ${quoted(script)}`, LIMIT_MS),
    ),
  judge: (results) => {
    const names = ['first run', 'second run', 'without the cache'];
    const text = results.map((result, index) => `${names[index]}: ${said(result)}`).join('\n');
    return judged(
      results.every(({ exitCode }) => exitCode === 0),
      text,
    );
  },
}));
