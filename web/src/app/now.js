import { useEffect, useState } from "preact/hooks";

// The time of now, every second: "in 12 s" counts down.
export function useNow() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
