package sigstoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
)

// ctLog promises to log certificates, with real promises (RFC 6962), and keeps
// none: nobody who verifies a signature asks for the tree.
type ctLog struct {
	key *ecdsa.PrivateKey
	der []byte // public key
}

func newCTLog() (*ctLog, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return &ctLog{key, der}, err
}

// ServeHTTP answers POST /ct/v1/add-pre-chain.
func (l *ctLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/ct/v1/add-pre-chain" {
		http.NotFound(w, r)
		return
	}
	var req ct.AddChainRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReply)).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	res, err := l.promise(req.Chain, uint64(time.Now().UnixMilli()))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, res)
}

func (l *ctLog) promise(chain [][]byte, at uint64) (*ct.AddChainResponse, error) {
	var certs []*ctx509.Certificate
	for _, der := range chain {
		c, err := ctx509.ParseCertificate(der)
		if ctx509.IsFatal(err) {
			return nil, err
		}
		certs = append(certs, c)
	}
	leaf, err := ct.MerkleTreeLeafFromChain(certs, ct.PrecertLogEntryType, at)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(l.der)
	input, err := ct.SerializeSCTSignatureInput(ct.SignedCertificateTimestamp{
		SCTVersion: ct.V1, LogID: ct.LogID{KeyID: id}, Timestamp: at,
	}, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(input)
	sig, err := l.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	signed, err := tls.Marshal(ct.DigitallySigned{
		Algorithm: tls.SignatureAndHashAlgorithm{Hash: tls.SHA256, Signature: tls.ECDSA}, Signature: sig,
	})
	if err != nil {
		return nil, err
	}
	return &ct.AddChainResponse{SCTVersion: ct.V1, ID: id[:], Timestamp: at, Signature: signed}, nil
}
