package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

func main() {
	canonical, _ := io.ReadAll(os.Stdin) // what hamba/avro's schema.String() gives
	digest := sha256.Sum256(canonical)
	fmt.Println(binary.BigEndian.Uint32(digest[:4])>>2 | 1<<30)
}
