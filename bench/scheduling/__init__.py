"""Order policies on recorded arrivals: who waits how long, under the scripts that workers lease by."""
