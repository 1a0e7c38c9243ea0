// Times in the reader's own zone, and durations in words, as the server writes them.

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function localTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-waited])")) {
    const moment = new Date(element.dateTime);
    element.textContent = moments.format(moment);
    element.title = moment.toISOString();
  }
}

// 47 s, 3 min 20 s, 2 h 5 min, 3 days: two units at most.
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (whole < 600 && whole % 60) return `${minutes} min ${whole % 60} s`;
  if (whole < 3600) return `${minutes} min`;
  const hours = Math.floor(whole / 3600);
  if (whole < 48 * 3600) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(whole / 86400)} days`;
}
