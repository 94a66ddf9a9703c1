// The session of the legacy document with Node's own fetch and FormData (undici).
// Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
import { readFile } from 'node:fs/promises';

const { LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES } = process.env;

async function call(step, path, options) {
  const response = await fetch(LEGACY_URL + path, { ...options, signal: AbortSignal.timeout(60000) });
  const text = await response.text();
  must(step, response.status === 200, `${response.status} ${text}`);
  return text;
}
function must(step, right, came) {
  if (right) return;
  console.log(`${step}: failed: ${came}`);
  process.exit(1);
}
async function file(name, type) {
  return new Blob([await readFile(`${LEGACY_FILES}/${name}`)], { type });
}

const form = new FormData();
form.append('conversation', 'Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre.');
form.append('ehr', await file('ehr.json', 'application/json'), 'ehr.json');
form.append('files', await file('informe año.pdf', 'application/pdf'), 'informe año.pdf');
form.append('files', await file('a;b;c.txt', 'text/plain'), 'a;b;c.txt');
let text = await call('newCase', '/michiQ/newCase', {
  method: 'POST',
  headers: { API_KEY: LEGACY_API_KEY, user_mail: LEGACY_USER, organization: 'Clínica Norte' },
  body: form,
});
const made = JSON.parse(text);
must('newCase', made.message === 'You are inside llamalitica services', text);
must('newCase', made.voice > 0 && made.ehr > 0 && made.documents > 0, text);
const id = made.michiq_uuid;
console.log(`newCase: ok ${id}`);

const Authorization = `Bearer ${made.token}`;
const audio = new FormData();
audio.append('audioChunk', await file('grabación.wav', 'audio/wav'), 'grabación.wav');
text = await call('uploadAudio', `/michiQ/uploadAudio/${id}`, {
  method: 'POST',
  headers: { Authorization },
  body: audio,
});
must('uploadAudio', text === `Archivo subido exitosamente con UUID: ${id}`, text);
console.log('uploadAudio: ok');

text = await call('speechToText', `/michiQ/speechToText/${id}`, {
  method: 'POST',
  headers: { Authorization, 'Content-Type': 'application/json' },
  body: JSON.stringify({ audioFile: 'grabaciones/grabación.wav' }),
});
const { transcription, totalSpeechTextTime } = JSON.parse(text);
must('speechToText', transcription === 'La paciente refiere fiebre y tos seca, según Núñez.', text);
must('speechToText', totalSpeechTextTime === '00:00:12', text);
console.log('speechToText: ok');

text = await call('query', `/michiQ/query/${id}`, {
  method: 'POST',
  headers: { Authorization, 'Content-Type': 'application/json' },
  body: JSON.stringify({ query: '¿Qué temperatura tenía?' }),
});
must('query', JSON.parse(text).response.includes('38,7'), text);
console.log('query: ok');

text = await call('doc', `/michiQ/doc/${id}`, { headers: { Authorization } });
must('doc', JSON.parse(text).document.michiq_uuid === id, text);
must('doc', JSON.parse(text).metadata.fileExtension === '.pdf', text);
console.log('doc: ok');

text = await call('encounters', '/michiQ/encounters', { headers: { Authorization } });
must('encounters', JSON.parse(text)[0].MichiqUUID === id, text);
must('encounters', JSON.parse(text)[0].OrganizationID === 'Clínica Norte', text);
console.log('encounters: ok');
