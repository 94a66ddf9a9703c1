<?php
// The session of the legacy document with Guzzle, from Debian's php-guzzlehttp-guzzle.
// Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
declare(strict_types=1);

require 'GuzzleHttp/autoload.php';

use GuzzleHttp\Client;
use GuzzleHttp\Psr7\Utils;

$files = getenv('LEGACY_FILES');
$http = new Client(['base_uri' => getenv('LEGACY_URL'), 'timeout' => 60, 'http_errors' => false]);

function call(string $step, string $method, string $path, array $options): string
{
    global $http;
    $response = $http->request($method, $path, $options);
    $answer = (string) $response->getBody();
    must($step, $response->getStatusCode() === 200, $response->getStatusCode() . ' ' . $answer);
    return $answer;
}

function must(string $step, bool $right, string $came): void
{
    if (!$right) {
        echo "$step: failed: $came\n";
        exit(1);
    }
}

$answer = call('newCase', 'POST', '/michiQ/newCase', [
    'headers' => [
        'API_KEY' => getenv('LEGACY_API_KEY'),
        'user_mail' => getenv('LEGACY_USER'),
        'organization' => 'Clínica Norte',
    ],
    'multipart' => [
        ['name' => 'conversation', 'contents' => "Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre."],
        ['name' => 'ehr', 'contents' => Utils::tryFopen("$files/ehr.json", 'r')],
        ['name' => 'files', 'contents' => Utils::tryFopen("$files/informe año.pdf", 'r')],
        ['name' => 'files', 'contents' => Utils::tryFopen("$files/a;b;c.txt", 'r')],
    ],
]);
$case = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
must('newCase', $case['message'] === 'You are inside llamalitica services', $answer);
must('newCase', min($case['voice'], $case['ehr'], $case['documents']) > 0, $answer);
$id = $case['michiq_uuid'];
echo "newCase: ok $id\n";

$headers = ['Authorization' => "Bearer {$case['token']}"];
$answer = call('uploadAudio', 'POST', "/michiQ/uploadAudio/$id", [
    'headers' => $headers,
    'multipart' => [['name' => 'audioChunk', 'contents' => Utils::tryFopen("$files/grabación.wav", 'r')]],
]);
must('uploadAudio', $answer === "Archivo subido exitosamente con UUID: $id", $answer);
echo "uploadAudio: ok\n";

$body = ['audioFile' => 'grabaciones/grabación.wav'];
$answer = call('speechToText', 'POST', "/michiQ/speechToText/$id", ['headers' => $headers, 'json' => $body]);
$spoken = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
must('speechToText', $spoken['transcription'] === 'La paciente refiere fiebre y tos seca, según Núñez.', $answer);
must('speechToText', $spoken['totalSpeechTextTime'] === '00:00:12', $answer);
echo "speechToText: ok\n";

$body = ['query' => '¿Qué temperatura tenía?'];
$answer = call('query', 'POST', "/michiQ/query/$id", ['headers' => $headers, 'json' => $body]);
must('query', str_contains(json_decode($answer, true)['response'], '38,7'), $answer);
echo "query: ok\n";

$answer = call('doc', 'GET', "/michiQ/doc/$id", ['headers' => $headers]);
$document = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
must('doc', $document['document']['michiq_uuid'] === $id, $answer);
must('doc', $document['metadata']['fileExtension'] === '.pdf', $answer);
echo "doc: ok\n";

$answer = call('encounters', 'GET', '/michiQ/encounters', ['headers' => $headers]);
$encounters = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
must('encounters', $encounters[0]['MichiqUUID'] === $id, $answer);
must('encounters', $encounters[0]['OrganizationID'] === 'Clínica Norte', $answer);
echo "encounters: ok\n";
