// Load puts requests on one HTTPS server with a client certificate and prints what it got as JSON.
//
// In the mode keep-alive each connection sends one request after the other; in the mode handshake each
// request comes on a connection of its own, with a full handshake.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

type report struct {
	Requests int     `json:"requests"`
	Errors   int     `json:"errors"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Error    string  `json:"error"`
}

var request = []byte("GET / HTTP/1.1\r\nHost: orders\r\n\r\n")

func main() {
	address := flag.String("address", "", "host:port of the server")
	certificate := flag.String("certificate", "", "file of the client's certificate and key")
	authority := flag.String("authority", "", "file of the server's authority")
	handshake := flag.Bool("handshake", false, "a connection for each request")
	connections := flag.Int("connections", 32, "at once")
	duration := flag.Duration("duration", 2*time.Second, "of the load")
	flag.Parse()

	config, err := clientConfig(*certificate, *authority)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(load(*address, config, *connections, *duration, *handshake))
}

func clientConfig(certificate, authority string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certificate, certificate)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "orders"}, nil
}

func load(address string, config *tls.Config, connections int, duration time.Duration, handshake bool) report {
	var mutex sync.Mutex
	var all []float64
	var total report
	var group sync.WaitGroup
	start := time.Now()
	end := start.Add(duration)
	for range connections {
		group.Go(func() {
			taken, err := client(address, config, end, handshake)
			mutex.Lock()
			defer mutex.Unlock()
			all = append(all, taken...)
			if err != nil {
				total.Errors++
				total.Error = err.Error()
			}
		})
	}
	group.Wait()
	total.Seconds = time.Since(start).Seconds()
	total.Requests = len(all)
	if len(all) > 0 {
		slices.Sort(all)
		total.P50 = all[len(all)/2]
		total.P99 = all[len(all)*99/100]
	}
	return total
}

// client returns how long each request took, in seconds, and the error that ended it.
func client(address string, config *tls.Config, end time.Time, handshake bool) (taken []float64, err error) {
	for time.Now().Before(end) {
		begun := time.Now()
		connection, err := tls.Dial("tcp", address, config)
		if err != nil {
			return taken, err
		}
		reader := bufio.NewReaderSize(connection, 4096)
		for {
			if err := exchange(connection, reader); err != nil {
				return taken, err
			}
			taken = append(taken, time.Since(begun).Seconds())
			if handshake || !time.Now().Before(end) {
				break
			}
			begun = time.Now()
		}
		if err := connection.Close(); err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// exchange sends one request and reads the whole response, of which it wants status 200 and a length.
func exchange(connection net.Conn, reader *bufio.Reader) error {
	if _, err := connection.Write(request); err != nil {
		return err
	}
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("unexpected answer %q", line)
	}
	length := -1
	for {
		line, err = reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("the response has no content-length")
	}
	_, err = io.CopyN(io.Discard, reader, int64(length))
	return err
}
