// Judges each case by crypto/x509 and prints, in order, whether it accepts it.
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
)

type testCase struct {
	Role, Host, Trust, Certificate string
}

func read(path string) []*x509.Certificate {
	rest, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	var certificates []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return certificates
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			panic(err)
		}
		certificates = append(certificates, certificate)
	}
}

func pool(certificates []*x509.Certificate) *x509.CertPool {
	made := x509.NewCertPool()
	for _, certificate := range certificates {
		made.AddCert(certificate)
	}
	return made
}

func judge(one testCase) string {
	chain := read(one.Certificate)
	options := x509.VerifyOptions{
		Roots:         pool(read(one.Trust)),
		Intermediates: pool(chain[1:]),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if one.Role == "server" {
		options.DNSName = one.Host
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if _, err := chain[0].Verify(options); err != nil {
		return err.Error()
	}
	return ""
}

func main() {
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	refusals := make([]string, len(cases))
	for number, one := range cases {
		refusals[number] = judge(one)
	}
	json.NewEncoder(os.Stdout).Encode(refusals)
}
