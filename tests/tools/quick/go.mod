module quick

go 1.21
