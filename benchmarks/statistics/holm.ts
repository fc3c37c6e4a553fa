/**
 * Adjusts p-values for having asked several questions at once, so that the chance of even one false alarm among all of
 * them stays below the level that each adjusted value is held against: S. Holm, "A Simple Sequentially Rejective Multiple
 * Test Procedure" (1979); R's `p.adjust(p, "holm")`. Answers in the order of the questions.
 */
export function holm(pValues: readonly number[]): number[] {
  const adjusted = pValues.map(() => 0);
  const order = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p);
  let greatest = 0;
  for (const [rank, { p, index }] of order.entries()) {
    greatest = Math.max(greatest, Math.min(1, (pValues.length - rank) * p));
    adjusted[index] = greatest;
  }
  return adjusted;
}
