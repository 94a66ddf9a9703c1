module michiq.example/client

go 1.19
