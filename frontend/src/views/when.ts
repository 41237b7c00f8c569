/** How a moment is written for people. */

/** The time of day, or for other days the date. */
export function whenLabel(date: number): string {
  const isToday = new Date(date).toDateString() === new Date().toDateString();
  const format: Intl.DateTimeFormatOptions = isToday ? { timeStyle: "short" } : { dateStyle: "medium" };
  return new Intl.DateTimeFormat("en", format).format(date);
}
