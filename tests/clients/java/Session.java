// The session of the legacy document with java.net.http. Run as: java Session.java
// Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Session {
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static final Path FILES = Path.of(System.getenv("LEGACY_FILES"));

    public static void main(String[] arguments) throws Exception {
        Form form = new Form();
        form.field("conversation", "Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre.");
        form.file("ehr", "ehr.json", "application/json");
        form.file("files", "informe año.pdf", "application/pdf");
        form.file("files", "a;b;c.txt", "text/plain");
        String answer = call("newCase", request("/michiQ/newCase")
                .header("API_KEY", System.getenv("LEGACY_API_KEY"))
                .header("user_mail", System.getenv("LEGACY_USER"))
                .header("organization", "Clínica Norte")
                .header("Content-Type", form.contentType())
                .POST(form.body()));
        must("newCase", answer.contains("\"message\":\"You are inside llamalitica services\""), answer);
        must("newCase", !field(answer, "documents").equals("0"), answer);
        String id = field(answer, "michiq_uuid");
        String bearer = "Bearer " + field(answer, "token");
        System.out.println("newCase: ok " + id);

        Form audio = new Form();
        audio.file("audioChunk", "grabación.wav", "audio/wav");
        answer = call("uploadAudio", request("/michiQ/uploadAudio/" + id)
                .header("Authorization", bearer)
                .header("Content-Type", audio.contentType())
                .POST(audio.body()));
        must("uploadAudio", answer.equals("Archivo subido exitosamente con UUID: " + id), answer);
        System.out.println("uploadAudio: ok");

        answer = call("speechToText", request("/michiQ/speechToText/" + id)
                .header("Authorization", bearer)
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString("{\"audioFile\": \"grabaciones/grabación.wav\"}")));
        String spoken = "La paciente refiere fiebre y tos seca, según Núñez.";
        must("speechToText", field(answer, "transcription").equals(spoken), answer);
        must("speechToText", field(answer, "totalSpeechTextTime").equals("00:00:12"), answer);
        System.out.println("speechToText: ok");

        answer = call("query", request("/michiQ/query/" + id)
                .header("Authorization", bearer)
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString("{\"query\": \"¿Qué temperatura tenía?\"}")));
        must("query", field(answer, "response").contains("38,7"), answer);
        System.out.println("query: ok");

        answer = call("doc", request("/michiQ/doc/" + id).header("Authorization", bearer).GET());
        must("doc", field(answer, "michiq_uuid").equals(id), answer);
        must("doc", field(answer, "fileExtension").equals(".pdf"), answer);
        System.out.println("doc: ok");

        answer = call("encounters", request("/michiQ/encounters").header("Authorization", bearer).GET());
        must("encounters", field(answer, "MichiqUUID").equals(id), answer);
        // java.net.http sends header values as ASCII: the í of the organization went out as ?
        must("encounters", field(answer, "OrganizationID").equals("Cl?nica Norte"), answer);
        System.out.println("encounters: ok");
    }

    static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(System.getenv("LEGACY_URL") + path)).timeout(Duration.ofSeconds(60));
    }

    static String call(String step, HttpRequest.Builder request) throws Exception {
        HttpResponse<String> response = CLIENT.send(request.build(), BodyHandlers.ofString());
        must(step, response.statusCode() == 200, response.statusCode() + " " + response.body());
        return response.body();
    }

    static void must(String step, boolean right, String came) {
        if (!right) {
            System.out.println(step + ": failed: " + came);
            System.exit(1);
        }
    }

    /** The first string or number of that name in a JSON text. */
    static String field(String json, String name) {
        Matcher match = Pattern.compile("\"" + name + "\":(?:\"([^\"]*)\"|([0-9]+))").matcher(json);
        return !match.find() ? "" : match.group(1) != null ? match.group(1) : match.group(2);
    }

    /** A multipart/form-data body: java.net.http has none of its own. */
    static class Form {
        final String boundary = UUID.randomUUID().toString();
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        String contentType() {
            return "multipart/form-data; boundary=" + boundary;
        }

        void field(String name, String value) throws IOException {
            write("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n");
        }

        void file(String name, String filename, String type) throws IOException {
            write("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + filename
                    + "\"\r\nContent-Type: " + type + "\r\n\r\n");
            bytes.write(Files.readAllBytes(FILES.resolve(filename)));
            write("\r\n");
        }

        HttpRequest.BodyPublisher body() throws IOException {
            write("--" + boundary + "--\r\n");
            return BodyPublishers.ofByteArray(bytes.toByteArray());
        }

        void write(String text) throws IOException {
            bytes.write(text.getBytes(StandardCharsets.UTF_8));
        }
    }
}
