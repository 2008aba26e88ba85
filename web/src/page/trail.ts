/** The line that a sliding finger leaves on the keys. */
import type { PathPoint } from "../keyboard/events";
import type { Page } from "./keys";

const SVG = "http://www.w3.org/2000/svg";
const MOST_POINTS = 256; // that an event may have

/** As many points as an event may have, the first and the last among them. */
export function thinned(path: readonly PathPoint[]): PathPoint[] {
  if (path.length <= MOST_POINTS) return [...path];
  const step = (path.length - 1) / (MOST_POINTS - 1);
  return Array.from({ length: MOST_POINTS }, (_, i) => path[Math.round(i * step)]);
}

export class Trail {
  readonly element = document.createElementNS(SVG, "svg");
  private readonly line = document.createElementNS(SVG, "polyline");

  constructor() {
    this.element.setAttribute("class", "trail");
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("aria-hidden", "true");
    this.element.append(this.line);
  }

  draw(path: readonly PathPoint[], { width, numRows }: Page): void {
    this.element.setAttribute("viewBox", `0 0 ${width} ${numRows}`);
    this.line.setAttribute("points", path.map(({ x, y }) => `${x.toFixed(3)},${y.toFixed(3)}`).join(" "));
  }

  clear(): void {
    this.line.setAttribute("points", "");
  }
}
