<?php
// The session of the legacy document with PHP's curl extension.
// Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
declare(strict_types=1);

$files = getenv('LEGACY_FILES');

function call(string $step, string $path, array $headers, mixed $body = null): string
{
    $curl = curl_init(getenv('LEGACY_URL') . $path);
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 60, CURLOPT_HTTPHEADER => $headers]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
    }
    $answer = curl_exec($curl);
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    must($step, $status === 200, $status . ' ' . $answer . curl_error($curl));
    return $answer;
}

function must(string $step, bool $right, string $came): void
{
    if (!$right) {
        echo "$step: failed: $came\n";
        exit(1);
    }
}

function part(string $boundary, string $disposition, string $content, ?string $type = null): string
{
    return "--$boundary\r\nContent-Disposition: form-data; $disposition\r\n"
        . ($type === null ? '' : "Content-Type: $type\r\n") . "\r\n$content\r\n";
}

// An array for CURLOPT_POSTFIELDS can't hold two files of one name, so this form is written by hand.
$boundary = 'php-' . bin2hex(random_bytes(12));
$form = part($boundary, 'name="conversation"', "Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre.")
    . part($boundary, 'name="ehr"; filename="ehr.json"', file_get_contents("$files/ehr.json"), 'application/json');
foreach (['informe año.pdf' => 'application/pdf', 'a;b;c.txt' => 'text/plain'] as $name => $type) {
    $form .= part($boundary, "name=\"files\"; filename=\"$name\"", file_get_contents("$files/$name"), $type);
}
$answer = call('newCase', '/michiQ/newCase', [
    'API_KEY: ' . getenv('LEGACY_API_KEY'),
    'user_mail: ' . getenv('LEGACY_USER'),
    'organization: Clínica Norte',
    "Content-Type: multipart/form-data; boundary=$boundary",
], "$form--$boundary--\r\n");
$case = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
must('newCase', $case['message'] === 'You are inside llamalitica services', $answer);
must('newCase', min($case['voice'], $case['ehr'], $case['documents']) > 0, $answer);
$id = $case['michiq_uuid'];
echo "newCase: ok $id\n";

$bearer = "Authorization: Bearer {$case['token']}";
$json = 'Content-Type: application/json';
$audio = new CURLFile("$files/grabación.wav", 'audio/wav', 'grabación.wav');
$answer = call('uploadAudio', "/michiQ/uploadAudio/$id", [$bearer], ['audioChunk' => $audio]);
must('uploadAudio', $answer === "Archivo subido exitosamente con UUID: $id", $answer);
echo "uploadAudio: ok\n";

$body = json_encode(['audioFile' => 'grabaciones/grabación.wav']);
$answer = call('speechToText', "/michiQ/speechToText/$id", [$bearer, $json], $body);
$spoken = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
must('speechToText', $spoken['transcription'] === 'La paciente refiere fiebre y tos seca, según Núñez.', $answer);
must('speechToText', $spoken['totalSpeechTextTime'] === '00:00:12', $answer);
echo "speechToText: ok\n";

$body = json_encode(['query' => '¿Qué temperatura tenía?']);
$answer = call('query', "/michiQ/query/$id", [$bearer, $json], $body);
must('query', str_contains(json_decode($answer, true)['response'], '38,7'), $answer);
echo "query: ok\n";

$answer = call('doc', "/michiQ/doc/$id", [$bearer]);
$document = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
must('doc', $document['document']['michiq_uuid'] === $id, $answer);
must('doc', $document['metadata']['fileExtension'] === '.pdf', $answer);
echo "doc: ok\n";

$answer = call('encounters', '/michiQ/encounters', [$bearer]);
$encounters = json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
must('encounters', $encounters[0]['MichiqUUID'] === $id, $answer);
must('encounters', $encounters[0]['OrganizationID'] === 'Clínica Norte', $answer);
echo "encounters: ok\n";
