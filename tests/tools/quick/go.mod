module quick

go 1.22
