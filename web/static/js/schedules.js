// A new schedule begins with the time zone of the browser.

const zone = document.getElementById("time_zone");
if (zone && !zone.value) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
