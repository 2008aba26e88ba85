/** What typing costs: time from a key to its bar, and keys saved. */

const KEPT = 5000;

export class Meters {
  private readonly times: number[] = [];
  private readonly begun = new Map<number, number>();
  private numKeys = 0;
  private numSent = 0; // characters of texts that were sent

  constructor(private readonly latency: HTMLElement, private readonly savings: HTMLElement) {}

  /** A key was pressed at an instant; it made a revision. */
  pressed(revision: number, instant: number): void {
    this.numKeys++;
    this.begun.set(revision, instant);
  }

  /** The bar of a revision is on the screen's page. */
  shown(revision: number): void {
    const begun = this.begun.get(revision);
    if (begun === undefined) return;
    this.begun.clear(); // what came before got no bar
    this.times.push(performance.now() - begun);
    if (this.times.length > KEPT) this.times.shift();
    const sorted = [...this.times].sort((a, b) => a - b);
    const at = (share: number): string => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(0);
    this.latency.textContent = `${this.times[this.times.length - 1].toFixed(0)} ms, median ${at(0.5)}, 95 % within ${at(0.95)}`;
    this.latency.dataset.times = JSON.stringify(this.times.map((time) => Number(time.toFixed(2))));
  }

  textIs(numChars: number): void {
    const total = this.numSent + numChars;
    const saved = total ? Math.max(0, 1 - this.numKeys / total) : 0;
    this.savings.textContent = `${(100 * saved).toFixed(0)} % (${this.numKeys} keys for ${total} characters)`;
  }

  sent(numChars: number): void {
    this.numSent += numChars;
  }
}
