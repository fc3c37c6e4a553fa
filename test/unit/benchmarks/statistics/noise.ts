/** Made-up measurements of which the truth is known. */

/** Numbers from 0 to below 1, always the same for a seed: mulberry32 by Tommy Ettinger, in the public domain. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One value of the standard normal distribution: Box and Muller. */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

const SPIKES = 0.05;
const HIGHEST_SPIKE = 0.3;

/** Seconds of a program that takes `truth`, with lognormal noise; one run in twenty is up to 30 % slower. */
export function measured(random: () => number, truth: number, noise: number): number {
  const spike = random() < SPIKES ? 1 + HIGHEST_SPIKE * random() : 1;
  return truth * Math.exp(noise * normal(random)) * spike;
}
