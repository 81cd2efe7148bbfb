module mtls-operator.io/bench/load

go 1.25
