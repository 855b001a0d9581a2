bash /tmp/p3perf.sh perf 2>&1
