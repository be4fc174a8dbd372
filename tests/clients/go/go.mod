module client

go 1.22

require (
	github.com/linkedin/goavro/v2 v2.14.0
	github.com/twmb/franz-go v1.18.1
)

require (
	github.com/golang/snappy v0.0.1 // indirect
	github.com/klauspost/compress v1.17.11 // indirect
	github.com/pierrec/lz4/v4 v4.1.22 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.9.0 // indirect
)
