module slipway/bench/registry-load

go 1.22
