// The session of the legacy document with axios and form-data.
// Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
import fs from 'node:fs';
import axios from 'axios';
import FormData from 'form-data';

const { LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES } = process.env;
const http = axios.create({ baseURL: LEGACY_URL, timeout: 60000, validateStatus: () => true });

function must(step, right, response) {
  if (right) return;
  console.log(`${step}: failed: ${response.status} ${JSON.stringify(response.data)}`);
  process.exit(1);
}

const form = new FormData();
form.append('conversation', 'Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre.');
form.append('ehr', fs.createReadStream(`${LEGACY_FILES}/ehr.json`));
form.append('files', fs.createReadStream(`${LEGACY_FILES}/informe año.pdf`));
form.append('files', fs.createReadStream(`${LEGACY_FILES}/a;b;c.txt`));
let response = await http.post('/michiQ/newCase', form, {
  headers: {
    ...form.getHeaders(),
    API_KEY: LEGACY_API_KEY,
    user_mail: LEGACY_USER,
    organization: 'Clínica Norte',
  },
});
must('newCase', response.status === 200, response);
const { michiq_uuid: id, token, message, voice, ehr, documents } = response.data;
must('newCase', message === 'You are inside llamalitica services', response);
must('newCase', voice > 0 && ehr > 0 && documents > 0, response);
console.log(`newCase: ok ${id}`);

const Authorization = `Bearer ${token}`;
const audio = new FormData();
audio.append('audioChunk', fs.createReadStream(`${LEGACY_FILES}/grabación.wav`));
response = await http.post(`/michiQ/uploadAudio/${id}`, audio, {
  headers: { ...audio.getHeaders(), Authorization },
});
must('uploadAudio', response.status === 200, response);
must('uploadAudio', response.data === `Archivo subido exitosamente con UUID: ${id}`, response);
console.log('uploadAudio: ok');

response = await http.post(
  `/michiQ/speechToText/${id}`,
  { audioFile: 'grabaciones/grabación.wav' },
  { headers: { Authorization } },
);
must('speechToText', response.status === 200, response);
const spoken = 'La paciente refiere fiebre y tos seca, según Núñez.';
must('speechToText', response.data.transcription === spoken, response);
must('speechToText', response.data.totalSpeechTextTime === '00:00:12', response);
console.log('speechToText: ok');

response = await http.post(
  `/michiQ/query/${id}`,
  { query: '¿Qué temperatura tenía?' },
  { headers: { Authorization } },
);
must('query', response.status === 200 && response.data.response.includes('38,7'), response);
console.log('query: ok');

response = await http.get(`/michiQ/doc/${id}`, { headers: { Authorization } });
must('doc', response.status === 200 && response.data.document.michiq_uuid === id, response);
must('doc', response.data.metadata.fileExtension === '.pdf', response);
console.log('doc: ok');

response = await http.get('/michiQ/encounters', { headers: { Authorization } });
must('encounters', response.status === 200 && response.data[0].MichiqUUID === id, response);
must('encounters', response.data[0].OrganizationID === 'Clínica Norte', response);
console.log('encounters: ok');
