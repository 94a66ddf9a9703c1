// The session of the legacy document with .NET's HttpClient. Built and run as: build.py says.
// Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
using System;
using System.IO;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading.Tasks;

public static class Session
{
    static readonly HttpClient Client = new HttpClient { Timeout = TimeSpan.FromSeconds(60) };
    static readonly string Files = Environment.GetEnvironmentVariable("LEGACY_FILES");

    public static int Main()
    {
        Run().GetAwaiter().GetResult();
        return 0;
    }

    static async Task Run()
    {
        var form = new MultipartFormDataContent();
        form.Add(new StringContent("Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre."), "conversation");
        Add(form, "ehr", "ehr.json", "application/json");
        Add(form, "files", "informe año.pdf", "application/pdf");
        Add(form, "files", "a;b;c.txt", "text/plain");
        var request = Request(HttpMethod.Post, "/michiQ/newCase", null, form);
        request.Headers.Add("API_KEY", Environment.GetEnvironmentVariable("LEGACY_API_KEY"));
        request.Headers.Add("user_mail", Environment.GetEnvironmentVariable("LEGACY_USER"));
        // HttpClient refuses a header value that isn't ASCII, so the program was given a name without the accent.
        request.Headers.Add("organization", "Clinica Norte");
        var answer = await Call("newCase", request);
        Must("newCase", answer.Contains("\"message\":\"You are inside llamalitica services\""), answer);
        Must("newCase", Field(answer, "documents") != "0", answer);
        var id = Field(answer, "michiq_uuid");
        var token = Field(answer, "token");
        Console.WriteLine("newCase: ok " + id);

        var audio = new MultipartFormDataContent();
        Add(audio, "audioChunk", "grabación.wav", "audio/wav");
        answer = await Call("uploadAudio", Request(HttpMethod.Post, "/michiQ/uploadAudio/" + id, token, audio));
        Must("uploadAudio", answer == "Archivo subido exitosamente con UUID: " + id, answer);
        Console.WriteLine("uploadAudio: ok");

        var asked = Json("{\"audioFile\": \"grabaciones/grabación.wav\"}");
        answer = await Call("speechToText", Request(HttpMethod.Post, "/michiQ/speechToText/" + id, token, asked));
        var spoken = "La paciente refiere fiebre y tos seca, según Núñez.";
        Must("speechToText", Field(answer, "transcription") == spoken, answer);
        Must("speechToText", Field(answer, "totalSpeechTextTime") == "00:00:12", answer);
        Console.WriteLine("speechToText: ok");

        asked = Json("{\"query\": \"¿Qué temperatura tenía?\"}");
        answer = await Call("query", Request(HttpMethod.Post, "/michiQ/query/" + id, token, asked));
        Must("query", Field(answer, "response").Contains("38,7"), answer);
        Console.WriteLine("query: ok");

        answer = await Call("doc", Request(HttpMethod.Get, "/michiQ/doc/" + id, token, null));
        Must("doc", Field(answer, "michiq_uuid") == id, answer);
        Must("doc", Field(answer, "fileExtension") == ".pdf", answer);
        Console.WriteLine("doc: ok");

        answer = await Call("encounters", Request(HttpMethod.Get, "/michiQ/encounters", token, null));
        Must("encounters", Field(answer, "MichiqUUID") == id, answer);
        Must("encounters", Field(answer, "OrganizationID") == "Clinica Norte", answer);
        Console.WriteLine("encounters: ok");
    }

    static void Add(MultipartFormDataContent form, string name, string filename, string type)
    {
        var content = new ByteArrayContent(File.ReadAllBytes(Path.Combine(Files, filename)));
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        form.Add(content, name, filename);
    }

    static StringContent Json(string text)
    {
        return new StringContent(text, Encoding.UTF8, "application/json");
    }

    static HttpRequestMessage Request(HttpMethod method, string path, string token, HttpContent content)
    {
        var url = Environment.GetEnvironmentVariable("LEGACY_URL") + path;
        var request = new HttpRequestMessage(method, url) { Content = content };
        if (token != null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }

    static async Task<string> Call(string step, HttpRequestMessage request)
    {
        var response = await Client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Must(step, (int)response.StatusCode == 200, (int)response.StatusCode + " " + text);
        return text;
    }

    static void Must(string step, bool right, string came)
    {
        if (right)
            return;
        Console.WriteLine(step + ": failed: " + came);
        Environment.Exit(1);
    }

    /// The first string or number of that name in a JSON text.
    static string Field(string json, string name)
    {
        var match = Regex.Match(json, "\"" + name + "\":(?:\"([^\"]*)\"|([0-9]+))");
        return match.Groups[1].Success ? match.Groups[1].Value : match.Groups[2].Value;
    }
}
