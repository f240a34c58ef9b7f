return message;
