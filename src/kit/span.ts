/** Seconds as a person says them: `42s`, `3m 20s`, `5h 1m`, `12d 3h`. */
export function span(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts: ReadonlyArray<readonly [number, string]> = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count}${unit}`).join(' ');
}
