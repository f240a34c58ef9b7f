function plain(amount) {
	return amount.replace(/,/g, '').replace(/\$/g, '');
}
