// The session of the legacy document with Go's net/http.
// Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var client = &http.Client{Timeout: 60 * time.Second}

func must(step string, right bool, came any) {
	if !right {
		fmt.Printf("%s: failed: %v\n", step, came)
		os.Exit(1)
	}
}

func call(step, method, path string, headers map[string]string, body io.Reader) []byte {
	request, err := http.NewRequest(method, os.Getenv("LEGACY_URL")+path, body)
	must(step, err == nil, err)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	must(step, err == nil, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	must(step, err == nil, err)
	must(step, response.StatusCode == 200, response.Status+" "+string(answer))
	return answer
}

func attach(form *multipart.Writer, field, name string) error {
	file, err := os.Open(filepath.Join(os.Getenv("LEGACY_FILES"), name))
	if err != nil {
		return err
	}
	defer file.Close()
	part, err := form.CreateFormFile(field, name)
	if err != nil {
		return err
	}
	_, err = io.Copy(part, file)
	return err
}

func newCase() (id, token string) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	must("newCase", form.WriteField("conversation", "Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre.") == nil, "")
	for _, each := range [][2]string{{"ehr", "ehr.json"}, {"files", "informe año.pdf"}, {"files", "a;b;c.txt"}} {
		err := attach(form, each[0], each[1])
		must("newCase", err == nil, err)
	}
	must("newCase", form.Close() == nil, "")
	answer := call("newCase", "POST", "/michiQ/newCase", map[string]string{
		"API_KEY":      os.Getenv("LEGACY_API_KEY"),
		"user_mail":    os.Getenv("LEGACY_USER"),
		"organization": "Clínica Norte",
		"Content-Type": form.FormDataContentType(),
	}, &body)
	var made struct {
		MichiqUUID string `json:"michiq_uuid"`
		Token      string `json:"token"`
		Message    string `json:"message"`
		Voice      int    `json:"voice"`
		Ehr        int    `json:"ehr"`
		Documents  int    `json:"documents"`
	}
	err := json.Unmarshal(answer, &made)
	must("newCase", err == nil, err)
	must("newCase", made.Message == "You are inside llamalitica services", made.Message)
	must("newCase", made.Voice > 0 && made.Ehr > 0 && made.Documents > 0, string(answer))
	fmt.Printf("newCase: ok %s\n", made.MichiqUUID)
	return made.MichiqUUID, made.Token
}

// The form is written while it is sent, so that a long recording doesn't lie in memory.
func uploadAudio(id, bearer string) {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() {
		err := attach(form, "audioChunk", "grabación.wav")
		if err == nil {
			err = form.Close()
		}
		writer.CloseWithError(err)
	}()
	headers := map[string]string{"Authorization": bearer, "Content-Type": form.FormDataContentType()}
	answer := call("uploadAudio", "POST", "/michiQ/uploadAudio/"+id, headers, reader)
	must("uploadAudio", string(answer) == "Archivo subido exitosamente con UUID: "+id, string(answer))
	fmt.Println("uploadAudio: ok")
}

func main() {
	id, token := newCase()
	bearer := "Bearer " + token
	uploadAudio(id, bearer)

	headers := map[string]string{"Authorization": bearer, "Content-Type": "application/json"}
	answer := call("speechToText", "POST", "/michiQ/speechToText/"+id, headers,
		strings.NewReader(`{"audioFile": "grabaciones/grabación.wav"}`))
	var spoken struct{ Transcription, TotalSpeechTextTime string }
	err := json.Unmarshal(answer, &spoken)
	must("speechToText", err == nil, err)
	must("speechToText", spoken.Transcription == "La paciente refiere fiebre y tos seca, según Núñez.", string(answer))
	must("speechToText", spoken.TotalSpeechTextTime == "00:00:12", string(answer))
	fmt.Println("speechToText: ok")

	answer = call("query", "POST", "/michiQ/query/"+id, headers, strings.NewReader(`{"query": "¿Qué temperatura tenía?"}`))
	var reply struct{ Response string }
	err = json.Unmarshal(answer, &reply)
	must("query", err == nil, err)
	must("query", strings.Contains(reply.Response, "38,7"), string(answer))
	fmt.Println("query: ok")

	answer = call("doc", "GET", "/michiQ/doc/"+id, map[string]string{"Authorization": bearer}, nil)
	var doc struct {
		Document struct {
			MichiqUUID string `json:"michiq_uuid"`
		}
		Metadata struct{ FileExtension string }
	}
	err = json.Unmarshal(answer, &doc)
	must("doc", err == nil, err)
	must("doc", doc.Document.MichiqUUID == id && doc.Metadata.FileExtension == ".pdf", string(answer))
	fmt.Println("doc: ok")

	answer = call("encounters", "GET", "/michiQ/encounters", map[string]string{"Authorization": bearer}, nil)
	var encounters []struct {
		MichiqUUID, OrganizationID string
		Timestamp                  time.Time
	}
	err = json.Unmarshal(answer, &encounters)
	must("encounters", err == nil, err)
	must("encounters", len(encounters) > 0 && encounters[0].MichiqUUID == id, string(answer))
	must("encounters", encounters[0].OrganizationID == "Clínica Norte", string(answer))
	fmt.Println("encounters: ok")
}
